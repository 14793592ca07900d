#!/usr/bin/env bash
# A throw-away Slurm on this machine: two nodes with two fake GPUs each, one without.
#   cluster.sh up DIR | cluster.sh down DIR
# Needs root and: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
# DIR has everything except /etc/slurm: jobs drop SLURM_CONF, so the configuration must be
# in its usual place. What was there before is kept next to it and restored by `down`.
set -euo pipefail
cmd=${1:?up or down}
dir=$(realpath -m "${2:?a folder}")
conf=/etc/slurm
before=/etc/slurm.before-tests

restore() {
  [ -e "$before" ] || return 0
  rm -rf "$conf"
  # A mark instead of a folder says that there was none.
  if [ -d "$before" ]; then mv "$before" "$conf"; else rm "$before"; fi
}

# End the daemons of the cluster in a folder, and what its jobs left running.
end() {
  timeout 20 scancel --user "$(id -un)" || true
  for name in slurmd.node1 slurmd.node2 slurmd.node3 slurmctld munged; do
    pid=$(cat "$1/run/$name.pid" 2>/dev/null) || continue
    # Of a run long ago: the number may be another program's today.
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${name%%.*}" ] || continue
    kill "$pid" 2>/dev/null || continue
    # A daemon whose parent does not reap it stays as a zombie: it is gone all the same.
    for _ in $(seq 100); do
      grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status" || break
      sleep 0.1
    done
  done
  # What ran on a node that was set down may outlive its job, and hear no other signal.
  for proc in /proc/[0-9]*; do
    if grep -qsz '^SLURM_WORKING_CLUSTER=tmap:127' "$proc/environ"; then
      kill -KILL "${proc#/proc/}" 2>/dev/null || true
    fi
  done
}

if [ "$cmd" = down ]; then
  end "$dir"
  restore
  exit 0
fi

# A killed run left its cluster: its configuration says where.
if [ -e "$before" ] && [ -e "$conf/slurm.conf" ]; then
  left=$(sed -n 's|^StateSaveLocation=\(.*\)/ctld$|\1|p' "$conf/slurm.conf")
  [ -z "$left" ] || end "$left"
fi
host=$(hostname -s)
mkdir -p "$dir"/{ctld,log,run,dev} "$dir"/spool/node{1,2,3}
chmod 0755 "$dir" "$dir"/{log,run}
restore
if [ -e "$conf" ]; then mv "$conf" "$before"; else touch "$before"; fi
mkdir -p "$conf"
# A regular file would be counted as a GPU, but CUDA_VISIBLE_DEVICES would stay unset.
for i in 0 1; do [ -e "$dir/dev/gpu$i" ] || mknod "$dir/dev/gpu$i" c 1 3; done
dd if=/dev/urandom of="$dir/munge.key" bs=1024 count=1 status=none
chmod 0400 "$dir/munge.key"

cat > "$conf/slurm.conf" <<CONF
ClusterName=tmap
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.sock
StateSaveLocation=$dir/ctld
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=2,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
KillWait=2
MinJobAge=300
MailProg=/bin/true
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=DEFAULT CPUs=2 RealMemory=16000 State=UNKNOWN
NodeName=node[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17001-17002] Gres=gpu:h100:2
NodeName=node3 NodeHostname=$host NodeAddr=127.0.0.1 Port=17003
PartitionName=cpu Nodes=node3 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=node[1-2] MaxTime=INFINITE State=UP
CONF
echo "NodeName=node[1-2] Name=gpu Type=h100 File=$dir/dev/gpu[0-1] Flags=nvidia_gpu_env" > "$conf/gres.conf"

# --force: files in a temporary folder are no secret from the owner's group.
munged --force --key-file "$dir/munge.key" --socket "$dir/run/munge.sock" \
  --pid-file "$dir/run/munged.pid" --log-file "$dir/log/munged.log" \
  --seed-file "$dir/run/munged.seed"
slurmctld -c
for n in 1 2 3; do slurmd -N "node$n" -c; done
for _ in $(seq 150); do
  [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = 3 ] && exec sinfo -N -o '%N %P %T %c %m %G'
  sleep 0.1
done
cat "$dir"/log/*.log
exit 1
