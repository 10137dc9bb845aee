// A pure function that remembers its answers: the same few values come with nearly all requests.

/** Whoever sends ever new values empties the memory, and can't fill it. */
const ENTRIES_MAX = 128;
/** Longer values are rare, or hostile. */
const KEY_LENGTH_MAX = 128;

export function remembering<T>(compute: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const value = compute(text);
    if (text.length > KEY_LENGTH_MAX) return value;
    if (known.size >= ENTRIES_MAX) known.clear();
    known.set(text, value);
    return value;
  };
}
