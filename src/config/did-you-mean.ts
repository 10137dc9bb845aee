// Finds the name that was probably meant.

/** The nearest of `names`, or null when none is near. Case, "-" and "_" don't count. */
export function nearest(given: string, names: Iterable<string>): string | null {
  const plain = fold(given);
  // A third of the letters may be wrong: "worker" for "workers", but not "foo" for "pid".
  let best = Math.max(1, Math.floor(plain.length / 3)) + 1;
  let found: string | null = null;
  for (const name of names) {
    const distance = editDistance(plain, fold(name), best);
    if (distance < best) {
      best = distance;
      found = name;
    }
  }
  return found;
}

function fold(name: string): string {
  return name.slice(0, 64).toLowerCase().replaceAll(/[-_]/g, '');
}

/** Insertions, deletions, replacements and swaps of neighbours; `limit` when there are as many or more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, beforeLast[j - 2]! + 1);
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return Math.min(last[b.length]!, limit);
}
