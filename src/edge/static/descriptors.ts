// How many descriptors are kept open for hot files: of their copies in memory, and of those that are too large for it.

const KEPT_MAX = 256;

let kept = 0;

/** False: there are enough. */
export function mayKeepDescriptor(): boolean {
  if (kept >= KEPT_MAX) return false;
  kept++;
  return true;
}

export function keptDescriptorClosed(): void {
  kept--;
}
