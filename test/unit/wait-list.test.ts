// The list of waiting requests: order, leaving from the middle, and who is overdue.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Waiter, WaitList } from '../../src/edge/balancer/wait-list.ts';

class Named extends Waiter {
  readonly name: string;
  constructor(name: string) {
    super();
    this.name = name;
  }
  start(): void {}
  giveUp(): void {}
}

function names(list: WaitList): string {
  let text = '';
  for (let waiter = list.first; waiter !== null; waiter = waiter.next)
    text += (waiter as Named).name;
  let back = '';
  for (let waiter = list.last; waiter !== null; waiter = waiter.previous)
    back = (waiter as Named).name + back;
  assert.equal(text, back);
  assert.equal(list.size, text.length);
  return text;
}

function filled(deadlines: Record<string, number>): { list: WaitList; by: Map<string, Named> } {
  const list = new WaitList();
  const by = new Map<string, Named>();
  for (const [name, deadlineMs] of Object.entries(deadlines)) {
    const waiter = new Named(name);
    by.set(name, waiter);
    list.push(waiter, deadlineMs);
  }
  return { list, by };
}

test('first come, first in line; leaving works from the front, the middle and the end', () => {
  const { list, by } = filled({ a: 1, b: 2, c: 3, d: 4 });
  assert.equal(names(list), 'abcd');
  list.remove(by.get('b')!);
  assert.equal(names(list), 'acd');
  list.remove(by.get('a')!);
  assert.equal(names(list), 'cd');
  list.remove(by.get('d')!);
  assert.equal(names(list), 'c');
  list.remove(by.get('c')!);
  assert.equal(names(list), '');
  list.push(by.get('b')!, 9);
  assert.equal(names(list), 'b');
});

test('leaving twice, and leaving a list one is not on, do nothing', () => {
  const { list, by } = filled({ a: 1, b: 2 });
  const other = new WaitList();
  other.remove(by.get('a')!);
  list.remove(by.get('a')!);
  list.remove(by.get('a')!);
  assert.equal(names(list), 'b');
  assert.equal(names(other), '');
});

test('the overdue are found wherever they stand', () => {
  const { list } = filled({ a: 10, b: 30, c: 20, d: 40 });
  assert.deepEqual(
    list.overdue(20).map((waiter) => (waiter as Named).name),
    ['a', 'c'],
  );
  assert.equal(names(list), 'bd');
  assert.deepEqual(list.overdue(20), []);
});
