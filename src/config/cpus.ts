// How many CPUs this process may use: the CPU affinity, and the limit of its control groups.

/** Contents of a file, or null when there is none. */
export type ReadText = (path: string) => string | null;

/** `available` is os.availableParallelism(), which knows the affinity. At least 1. */
export function usableCpus(available: number, read: ReadText): number {
  const limit = cgroupCpuLimit(read) ?? Number.POSITIVE_INFINITY;
  // Rounded down: 1.5 CPUs for two event loops and the edge would be throttled.
  return Math.max(1, Math.min(available, Math.floor(limit)));
}

/** CPUs by the tightest cgroup quota from this process' group up to the root; null = no limit. */
export function cgroupCpuLimit(read: ReadText): number | null {
  // "0::/system.slice/portico.service" (version 2), "4:cpu,cpuacct:/docker/4f…" (version 1).
  const lines = (read('/proc/self/cgroup') ?? '').split('\n');
  const limits: number[] = [];
  for (const line of lines) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (match === null) continue;
    const controllers = match[1]!;
    for (const group of upwards(match[2]!)) {
      const limit =
        controllers === ''
          ? limitOfV2(read(`/sys/fs/cgroup${group}/cpu.max`))
          : controllers.split(',').includes('cpu')
            ? limitOfV1(read, controllers, group)
            : null;
      if (limit !== null) limits.push(limit);
    }
  }
  return limits.length === 0 ? null : Math.min(...limits);
}

/** "/a/b" → "/a/b", "/a", "". In a container the group's path may not exist below the mount: its root does. */
function upwards(group: string): string[] {
  const parts = group.split('/').filter((part) => part !== '' && part !== '..');
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join('/')}`).concat('');
}

/** "150000 100000" or "max 100000": microseconds of CPU in each period. */
function limitOfV2(text: string | null): number | null {
  const match = /^(\d+) (\d+)/.exec(text ?? '');
  return match === null ? null : ratio(Number(match[1]), Number(match[2]));
}

function limitOfV1(read: ReadText, controllers: string, group: string): number | null {
  for (const mount of new Set([controllers, 'cpu', 'cpu,cpuacct'])) {
    const dir = `/sys/fs/cgroup/${mount}${group}`;
    const quota = read(`${dir}/cpu.cfs_quota_us`);
    const period = read(`${dir}/cpu.cfs_period_us`);
    if (quota !== null && period !== null) return ratio(Number(quota), Number(period));
  }
  return null;
}

/** Version 1 says -1 for no limit. */
function ratio(quota: number, period: number): number | null {
  return quota > 0 && period > 0 ? quota / period : null;
}
