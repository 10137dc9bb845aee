// Says whether this Node may run Portico, and whether it still gets security fixes.

/** What package.json's engines says. */
const oldest = [20, 19, 0] as const;

/** End of security fixes of each line (github.com/nodejs/Release); odd lines end with their successor. */
const linesEnd: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  21: '2024-06-01',
  22: '2027-04-30',
  23: '2025-06-01',
  24: '2028-04-30',
  25: '2026-06-01',
  26: '2029-04-30',
};

/** The first release of each line with the fixes of 2026-11-11: memory errors in http2 and tls that
 *  can be caused from afar. */
const fixedReleases: Readonly<Record<number, readonly [number, number, number]>> = {
  22: [22, 23, 5],
  24: [24, 22, 3],
  26: [26, 13, 1],
};

/** Why Portico can't run on this version; null = it can. */
export function nodeVersionFault(version: string): string | null {
  if (!isBelow(version, oldest)) return null;
  return `needs Node ${oldest.slice(0, 2).join('.')} or newer; this is ${version}`;
}

/** One line about what this version lacks; null = nothing known. A newer line than is known here is fine. */
export function nodeVersionWarning(version: string, now: Date): string | null {
  const line = Number(version.split('.')[0]);
  const end = linesEnd[line];
  if (end !== undefined && now.getTime() > Date.parse(`${end}T23:59:59Z`))
    return `Node ${version}: line ${line} has had no security fixes since ${end}; use 24 or newer`;
  const fixed = fixedReleases[line];
  if (fixed !== undefined && isBelow(version, fixed))
    return `Node ${version} has known security faults; use ${fixed.join('.')} or newer`;
  return null;
}

function isBelow(version: string, floor: readonly [number, number, number]): boolean {
  const parts = version.replace(/-.*$/, '').split('.').map(Number);
  for (const [index, least] of floor.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part < least;
  }
  // "22.23.5-pre" comes before 22.23.5.
  return version.includes('-');
}
