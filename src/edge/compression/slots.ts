// How many responses are compressed in pieces at a time: each holds 0.2 to 0.4 MB of zlib's memory.

export class Slots {
  inUse = 0;

  /** False: `max` are taken. A reload changes `max`, so it comes with each call. */
  take(max: number): boolean {
    if (this.inUse >= max) return false;
    this.inUse++;
    return true;
  }

  leave(): void {
    this.inUse--;
  }
}
