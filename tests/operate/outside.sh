#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What stands around a run, held by its own tools: numbers by promtool and Prometheus' parser, rules by promtool, units by
# systemd-analyze and systemd-sysusers, the line for cron by a parser of crontabs, the CronJob by Kubernetes' schema. The
# commands in unit, crontab and CronJob are run, with their places in /etc and /var moved.
# shellcheck disable=SC2013,SC2016 # one word a name; eval expands
set -u
. tests/operate/lib.bash
. tests/engines/python.bash
operate_begin
lacking=()

# has COMMAND: or it is remembered as lacking
has() {
	command -v "$1" >/dev/null && return
	lacking+=("$1")
	return 1
}

mkdir -p "$T/etc" "$T/var/app" "$T/run"
operate_store "$T/etc" 8
operate_conf "$T/etc/app.conf" "$T/var/app" out 'gates { acceptance = "off" }'
PREFIX=$T/inst
unset MAKEFLAGS MAKELEVEL
expect "install" make -s B="$B" PREFIX="$PREFIX" -o all install
UNITS=$PREFIX/lib/systemd/system

# moved TEXT: a command with its places in this test
moved() {
	sed "s|/etc/pgo/|$T/etc/|g; s|/var/lib/pgo/|$T/var/|g; s|/var/lib/prometheus/node-exporter/|$T/run/|g; s|%i|app|g" <<<"$1"
}

# ---- systemd
if has systemd-analyze; then
	for unit in pgo@.service pgo@.timer pgo-failed@.service; do
		expect "$unit is one" systemd-analyze verify --man=no "$UNITS/$unit"
	done
	sed 's/^Type=oneshot/Type=onesho/; s/^ExecStart=.*/&\nExecStop=nowhere/' "$UNITS/pgo@.service" >"$T/wrong@.service"
	expect "a wrong one would be found" eval '! systemd-analyze verify --man=no "$T/wrong@.service"'
	expect "the timer's time is one" systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$UNITS/pgo@.timer")"
fi
if has systemd-sysusers; then
	expect "the user is one" systemd-sysusers --dry-run "$PREFIX/lib/sysusers.d/pgo.conf"
fi
start=$(moved "$(sed -n 's/^ExecStart=//p' "$UNITS/pgo@.service")")
expect "the service's command: $start" bash -c "$start"
expect "the service's command again" eval 'bash -c "$start"; grep -qw "$?" <<<"$(sed -n "s/^SuccessExitStatus=//p" "$UNITS/pgo@.service")"'
failed=$(moved "$(sed -n 's/^ExecStart=//p' "$UNITS/pgo-failed@.service")")
expect "what OnFailure starts: $failed" eval 'bash -c "$failed" | grep -q app'

# ---- the numbers
prom=$T/var/app/pgo.prom
expect "there are numbers" grep -q '^pgo_run_exit_code{target="app"} 10$' "$prom"
if has promtool; then
	expect "promtool takes them" eval 'promtool check metrics <"$prom"'
	expect "promtool takes the rules" promtool check rules "$PREFIX/share/pgo/service/alerts.yml"
	for name in $(grep -o 'pgo_[a-z_]*' "$PREFIX/share/pgo/service/alerts.yml" | sort -u); do
		expect "rules name what there is: $name" grep -q "^$name{" "$prom"
	done
fi
if /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
	cat >"$T/parse.py" <<-'PY'
		import sys
		from prometheus_client.parser import text_string_to_metric_families
		families = {f.name: f for f in text_string_to_metric_families(open(sys.argv[1]).read())}
		assert all(f.type == "gauge" and f.documentation and f.samples for f in families.values()), families
		assert families["pgo_hosts"].samples[0].value == 8
		stages = {s.labels["stage"] for s in families["pgo_run_seconds"].samples}
		assert stages == {"fetch", "all"}, stages
	PY
	expect "Prometheus' parser reads them" /usr/bin/python3 "$T/parse.py" "$prom"
else
	lacking+=("python3-prometheus-client")
fi

# ---- cron
line=$(grep -v -e '^#' -e '=' -e '^$' "$PREFIX/share/pgo/service/pgo.cron")
[ -n "$line" ] || line=$(grep '^[0-9]' "$PREFIX/share/pgo/service/pgo.cron")
if /usr/bin/python3 -c 'import crontab' 2>/dev/null; then
	cat >"$T/cron.py" <<-'PY'
		import crontab, sys
		tab = crontab.CronTab(tabfile=sys.argv[1], user=False)
		jobs = list(tab)
		assert len(jobs) == 1 and jobs[0].is_valid() and jobs[0].is_enabled(), jobs
		assert jobs[0].user == "pgo" and str(jobs[0].slices) == "17 3 * * 1", (jobs[0].user, jobs[0].slices)
		print(jobs[0].command)
	PY
	expect "the line for cron is one" /usr/bin/python3 "$T/cron.py" "$PREFIX/share/pgo/service/pgo.cron"
	cp "$T/log" "$T/cron.sh"
	sed -i "$(printf 's|^pgo |%s/bin/pgo |' "$PREFIX")" "$T/cron.sh"
	moved "$(cat "$T/cron.sh")" >"$T/cron2.sh"
	expect "its command says nothing when there is nothing new" eval '[ -z "$(sh "$T/cron2.sh" 2>&1)" ]'
	expect "and leaves numbers" test -s "$T/run/pgo-app.prom"
else
	lacking+=("python3-crontab")
fi

# ---- Kubernetes
cat >"$T/job.py" <<'PY'
import sys, yaml
docs = [d for d in yaml.safe_load_all(open(sys.argv[1])) if d]
job = [d for d in docs if d["kind"] == "CronJob"][0]
box = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
conf = [d for d in docs if d["kind"] == "ConfigMap"][0]
open(sys.argv[2], "w").write(conf["data"]["pgo.conf"])
assert box["command"] == ["/bin/sh", "-c"]
print(box["args"][0])
PY
(python_with PyYAML kubernetes-validate) && {
	python_with PyYAML kubernetes-validate
	manifest=$PREFIX/share/pgo/service/cronjob.yaml
	validate=$(dirname "$PYTHON")/kubernetes-validate
	expect "the CronJob is one for Kubernetes 1.31" "$validate" --strict -k 1.31.0 "$manifest"
	expect "and for the newest" "$validate" --strict "$manifest"
	sed 's/startingDeadlineSeconds: 86400/startingDeadlineSeconds: soon/' "$manifest" >"$T/wrong.yaml"
	expect "a wrong one would be found" eval '! "$validate" --strict "$T/wrong.yaml"'
	expect "its parts" "$PYTHON" "$T/job.py" "$manifest" "$T/k8s.conf"
	sed "s|/etc/pgo/pgo.conf|$T/etc/app.conf|g; s|^pgo |$PREFIX/bin/pgo |" "$T/log" >"$T/job.sh"
	expect "its command takes nothing new for success" eval 'sh "$T/job.sh" | grep -q "\"event\":\"end\",\"target\":\"app\",\"exit\":10"'
	expect "its configuration is one" "$PGO" run -c "$T/k8s.conf" --dry-run
} || lacking+=("kubernetes-validate by pip")
operate_end || exit 1
[ "${#lacking[@]}" = 0 ] || skip "$good checks passed; not installed: ${lacking[*]}"
