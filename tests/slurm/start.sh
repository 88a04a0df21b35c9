#!/usr/bin/env bash
# Starts a real SLURM with two virtual nodes on this machine; everything it keeps lies in one folder.
#   usage: tests/slurm/start.sh STATE_DIR      then: source STATE_DIR/env      and at the end: tests/slurm/stop.sh STATE_DIR
# Needs root (slurmd and munged run as root here) and Debian's slurm-wlm and munge. Exit 0 running · 77 cannot run here.
set -euo pipefail
state=${1:?usage: start.sh STATE_DIR}
skip() { echo "SKIP slurm: $*" >&2; exit 77; }
die() { echo "start.sh: $*" >&2; tail -n 20 "$state"/log/*.log >&2 2>/dev/null || true; exit 1; }

[ "$(id -u)" = 0 ] || skip "not root (slurmd needs it)"
for program in munged slurmctld slurmd srun sbatch scontrol; do
  command -v "$program" >/dev/null || skip "no $program (apt-get install slurm-wlm munge)"
done
[ -f "$state/env" ] && die "$state already holds a SLURM; stop it first"

mkdir -p "$state"/{log,ctld,munge,n1,n2}
state=$(cd "$state" && pwd)
chmod 755 "$state" "$state/munge"
chmod 700 "$state/ctld"

# A munged of our own, with a key and socket in the state folder: /etc/munge and a running system munged are left alone.
# --force: munged otherwise refuses a folder under a world-writable /tmp.
(umask 077; head -c 128 /dev/urandom >"$state/munge/key")
munged --force --key-file="$state/munge/key" --socket="$state/munge/socket" --pid-file="$state/munge/pid" \
  --log-file="$state/log/munged.log" --seed-file="$state/munge/seed" --num-threads=2 2>"$state/log/munged.err" ||
  die "munged did not start: $(cat "$state/log/munged.err")"

host=$(hostname -s)
cpus=$(nproc)
memory=$(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo)
free_port() { # a port of this machine that nobody listens on, from $1 upwards
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}
base=$((20000 + $$ % 20000))
ctld_port=$(free_port "$base")
n1_port=$(free_port $((ctld_port + 1)))
n2_port=$(free_port $((n1_port + 1)))

cat >"$state/slurm.conf" <<CONF
ClusterName=striatetest
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ctld_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
# cred_expire: a node refuses work until old job credentials have expired; the default makes every requeue wait 2 minutes
AuthInfo=socket=$state/munge/socket,cred_expire=5
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/%n
SlurmctldPidFile=$state/ctld/pid
SlurmdPidFile=$state/%n/pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd-%n.log
# distinct per node: PMIx keeps its sockets there and two nodes with one folder fail
TmpFS=$state/%n
MpiDefault=pmix
# no cgroups: works in containers
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
SwitchType=switch/none
KillWait=5
MinJobAge=600
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=60
JobRequeue=1
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$n1_port CPUs=$cpus RealMemory=$memory State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$n2_port CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=01:00:00 State=UP
CONF
# an empty cgroup.conf: no plugin of ours uses cgroups, and slurmd then takes whatever version the machine has
: >"$state/cgroup.conf"
cat >"$state/env" <<ENV
export SLURM_CONF=$state/slurm.conf
ENV

export SLURM_CONF=$state/slurm.conf
slurmctld -f "$state/slurm.conf" >"$state/log/slurmctld.err" 2>&1 || die "slurmctld did not start"
for node in n1 n2; do
  slurmd -f "$state/slurm.conf" -N "$node" >"$state/log/slurmd-$node.err" 2>&1 || die "slurmd -N $node did not start"
done
for _ in $(seq 60); do
  [ "$(sinfo -h -N -o %T 2>/dev/null | grep -c -E '^(idle)$')" = 2 ] && { echo "SLURM runs: $(sinfo -h -o '%N %T')"; exit 0; }
  sleep 0.5
done
die "the two nodes did not come up within 30 s: $(sinfo -h -N -o '%N %T' 2>&1)"
