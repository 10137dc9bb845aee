// The CPUs a container may use are read from what the kernel says about its control groups.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupCpuLimit, usableCpus } from '../../src/config/cpus.ts';

const machine = (files: Record<string, string>) => (path: string) =>
  Object.hasOwn(files, path) ? files[path]! : null;

test('without control groups all available CPUs are used', () => {
  assert.equal(usableCpus(8, machine({})), 8);
});

test('a version 2 quota counts, from the root of the container', () => {
  const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '250000 100000\n' };
  assert.equal(cgroupCpuLimit(machine(files)), 2.5);
  assert.equal(usableCpus(8, machine(files)), 2);
  assert.equal(usableCpus(1, machine(files)), 1);
});

test('the tightest of the groups above counts, and "max" is no limit', () => {
  const files = {
    '/proc/self/cgroup': '0::/a.slice/b.service\n',
    '/sys/fs/cgroup/a.slice/b.service/cpu.max': 'max 100000\n',
    '/sys/fs/cgroup/a.slice/cpu.max': '400000 100000\n',
  };
  assert.equal(usableCpus(16, machine(files)), 4);
});

test('less than one CPU is one', () => {
  const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000' };
  assert.equal(usableCpus(8, machine(files)), 1);
});

test('a version 1 quota counts, in the group or at the root of the mount', () => {
  const groups = '12:memory:/docker/4f\n4:cpu,cpuacct:/docker/4f\n1:name=systemd:/docker/4f\n';
  const quota = (dir: string, microseconds: string) => ({
    '/proc/self/cgroup': groups,
    [`${dir}/cpu.cfs_quota_us`]: microseconds,
    [`${dir}/cpu.cfs_period_us`]: '100000\n',
  });
  for (const dir of ['/sys/fs/cgroup/cpu,cpuacct/docker/4f', '/sys/fs/cgroup/cpu']) {
    assert.equal(usableCpus(8, machine(quota(dir, '300000\n'))), 3, dir);
    assert.equal(usableCpus(8, machine(quota(dir, '-1\n'))), 8, dir);
  }
});

test('nonsense in the files is no limit, and a group leads nowhere else', () => {
  const asked: string[] = [];
  const read = (path: string) => {
    asked.push(path);
    return path === '/proc/self/cgroup' ? 'x\n0::/../../etc\n::\n' : 'x';
  };
  assert.equal(cgroupCpuLimit(read), null);
  assert.ok(asked.every((path) => !path.includes('..')));
});
