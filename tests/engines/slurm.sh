#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shards by a real Slurm on this machine, all of it on the loopback address: the bytes of one machine; a shard that fails
# cancels the last job and touches nothing, and the next run does what is missing.
#
# Needs root (slurmd runs jobs as their users) and munge's key, which its package makes.
# shellcheck disable=SC2317 # called by name
set -u
. tests/engines/lib.bash
for tool in slurmctld slurmd sbatch munged; do
	PATH=$PATH:/usr/sbin command -v $tool >/dev/null || skip "$tool is not installed"
done
[ "$(id -u)" = 0 ] || skip "slurmd runs as root only"
[ -e /etc/munge/munge.key ] || skip "there is no /etc/munge/munge.key"
engines_begin

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

D=$T/slurm
H=$(hostname -s)
mkdir -p "$D/state" "$D/spool" "$D/log"
chmod 755 "$T" "$D"
cat >"$D/slurm.conf" <<E
ClusterName=one
SlurmctldHost=$H(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket=$D/munge.socket
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool
SlurmctldPidFile=$D/slurmctld.pid
SlurmdPidFile=$D/slurmd.pid
SlurmctldLogFile=$D/log/ctld.log
SlurmdLogFile=$D/log/d.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
NodeName=$H NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$H Default=YES MaxTime=INFINITE State=UP
E
export SLURM_CONF=$D/slurm.conf

# pid_of NAME: what runs for this test
started=()
engine_stop() {
	local pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null
	done
	[ ! -e "$D/munged.pid" ] || kill "$(cat "$D/munged.pid")" 2>/dev/null
	for pid in "${started[@]}"; do
		until_true 10 test ! -d "/proc/$pid" || kill -9 "$pid"
	done
}

# A munged of our own: its socket, its key's copy.
install -d -o root -m 755 "$D/munge"
install -m 400 /etc/munge/munge.key "$D/munge/key"
PATH=$PATH:/usr/sbin
munged --force --key-file="$D/munge/key" --socket="$D/munge.socket" --pid-file="$D/munged.pid" --log-file="$D/munged.log" --seed-file="$D/munged.seed" >"$D/munged.out" 2>&1 || {
	cat "$D/munged.out"
	skip "munged does not start here: $(tail -n 1 "$D/munged.out")"
}
slurmctld -D -f "$SLURM_CONF" >"$D/log/ctld.out" 2>&1 &
started+=($!)
slurmd -D -f "$SLURM_CONF" >"$D/log/d.out" 2>&1 &
started+=($!)
idle() { sinfo -h -o %T | grep -q idle; }
expect "Slurm starts" until_true 60 idle
[ "$bad" = 0 ] || {
	tail -n 5 "$D"/log/*
	engines_end
	exit 1
}

run() { timeout 300 merge/engines/pgo-slurm "$@" -- "${WEIGHTS[@]}" "$T/fleet"; }
expect "an array of 4 and its last job" run -W -o "$T/four.pb.gz" -w "$T/dir" -n 4
expect "the bytes of one machine" cmp "$T/four.pb.gz" "$T/whole.pb.gz"
rm "$T/dir/part.2"
touch -d 2001-01-01 "$T/dir/part.1"
expect "a lost part" run -W -o "$T/again.pb.gz" -w "$T/dir" -n 4
expect "is made anew" cmp "$T/again.pb.gz" "$T/whole.pb.gz"
expect "the others are not" test "$(date -r "$T/dir/part.1" +%Y)" = 2001

# An input that changes between the plan and the shard: that shard fails.
cat >"$T/pgo-that-fails" <<E
#!/bin/sh
case "\$*" in *"--shard 3/"*) exit 3 ;; esac
exec "$PGO" "\$@"
E
chmod +x "$T/pgo-that-fails"
# shellcheck disable=SC2329
run_failing() { PGO=$T/pgo-that-fails run -W -o "$T/none.pb.gz" -w "$T/failing" -n 4; }
expect "a shard that fails" fails 'it failed' run_failing
expect "leaves nothing" test ! -e "$T/none.pb.gz"
expect "but the other parts" test -e "$T/failing/part.1" -a -e "$T/failing/part.4"
expect "and the next run ends well" run -W -o "$T/mended.pb.gz" -w "$T/failing" -n 4
expect "with the bytes of one machine" cmp "$T/mended.pb.gz" "$T/whole.pb.gz"

# The task finds its shard in the environment.
"$PGO" plan -q "${WEIGHTS[@]}" --shards 3 "$T/fleet" -o "$T/plan3.json"
expect "an array that asks the environment" timeout 120 sbatch --wait --array=1-3 -o "$T/auto.%a.log" --wrap "$PGO merge -q --plan $T/plan3.json --shard auto -o $T/auto.part.\$SLURM_ARRAY_TASK_ID"
expect "its parts" "$PGO" finish -q "$T"/auto.part.* -o "$T/auto.pb.gz"
expect "are the whole" cmp "$T/auto.pb.gz" "$T/whole.pb.gz"
engines_end
