// Remembers which names were asked for of late, in bounded memory.

const NAMES_MAX = 16_384;

/** Two generations: when the younger is full it becomes the older, whose names are forgotten. */
export class Seen {
  private younger = new Set<string>();
  private older = new Set<string>();

  /** Whether `name` was asked for before; from now on it was. */
  before(name: string): boolean {
    if (this.younger.has(name)) return true;
    const wasSeen = this.older.has(name);
    if (this.younger.size >= NAMES_MAX) {
      this.older = this.younger;
      this.younger = new Set();
    }
    this.younger.add(name);
    return wasSeen;
  }
}
