#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manifests for Kubernetes: valid by Kubernetes' own schemas, and run as an Indexed Job would run them, the commands and
# the environment taken from them: indexes in any order, twice, and pods that are killed. (There is no cluster here.)
set -u
. tests/engines/lib.bash
. tests/engines/python.bash
engines_begin
python_with PyYAML kubernetes-validate

manifest() { merge/engines/pgo-kubernetes -i registry.example/team/pgo:1.2 -c profiles "$@"; }
expect "manifests" manifest -n 6 -p 3 -d "$T/volume" >/dev/null
manifest -n 6 -p 3 -d "$T/volume" >"$T/jobs.yaml"
validate() { "$(dirname "$PYTHON")/kubernetes-validate" --strict "$@" "$T/jobs.yaml"; }
expect "are valid for Kubernetes 1.25" validate -k 1.25.0
expect "and for the newest that the checker knows" validate
sed 's/completions: 6/completions: six/' "$T/jobs.yaml" >"$T/wrong.yaml"
expect "a wrong one would be found" fails 'six' "$(dirname "$PYTHON")/kubernetes-validate" "$T/wrong.yaml"

# The controller's part: what each pod is told.
cat >"$T/job.py" <<'PY'
import os, random, subprocess, sys, yaml
path, stage, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
jobs = [d for d in yaml.safe_load_all(open(path)) if d]
job = jobs[0 if stage == "shards" else 1]
box = job["spec"]["template"]["spec"]["containers"][0]
def pod(index, kill=None):
    env = dict(os.environ)
    for e in box["env"]:
        if e["name"] == "JOB_COMPLETION_INDEX":
            assert e["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
            env[e["name"]] = str(index)
        elif e["name"] != "TMPDIR":
            env[e["name"]] = e["value"]
    words = [w.replace("$(JOB_COMPLETION_INDEX)", str(index)) for w in box["command"]]
    assert "$(" not in " ".join(words), words
    p = subprocess.Popen([os.environ["PGO"]] + words[1:], env=env)
    if kill is not None:
        try:
            p.wait(kill)
        except subprocess.TimeoutExpired:
            p.kill()
    return p.wait()
if stage == "finish":
    sys.exit(pod(0))
rnd = random.Random(seed)
assert job["spec"]["completionMode"] == "Indexed"
todo = list(range(job["spec"]["completions"])) * 2      # every index twice: a pod may be replaced while it still runs
rnd.shuffle(todo)
failed = 0
for index in todo:
    while pod(index, rnd.choice([None, 0.001, 0.01])) != 0:
        failed += 1
        assert failed < 200
print(failed, "pods were killed")
PY
mkdir -p "$T/volume/parts"
"$PGO" plan -q "${WEIGHTS[@]}" --shards 6 "$T/fleet" -o "$T/volume/plan.json"
expect "the last job fails while parts are missing" fails 'no such\|missing\|no partial' "$PYTHON" "$T/job.py" "$T/jobs.yaml" finish 0
for seed in 1 2 3; do
	rm -f "$T/volume/parts"/*
	expect "indexes in any order, twice, killed now and then ($seed)" "$PYTHON" "$T/job.py" "$T/jobs.yaml" shards $seed
	expect "the last job ($seed)" "$PYTHON" "$T/job.py" "$T/jobs.yaml" finish 0
	expect "the bytes of one machine ($seed)" cmp "$T/volume/merged.pb.gz" "$T/whole.pb.gz"
done
expect "what cannot stand in a manifest is refused" fails 'do not belong' manifest -n 6 -N 'a"b'
expect "so is no number of shards" fails 'not a number' manifest -n many
engines_end
