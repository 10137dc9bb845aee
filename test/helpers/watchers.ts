// Those who wait for something to happen, and look again each time that something has.

export class Watchers {
  private readonly looks = new Set<() => void>();

  /** Something has happened. */
  readonly tell = (): void => {
    for (const look of [...this.looks]) look();
  };

  /** Resolves with what `find` finds, now or when told; rejects with what it throws, and with `report()` when
   *  `deadlineMs` have passed. */
  until<T>(
    find: () => T | null | undefined,
    { deadlineMs, report }: { deadlineMs: number; report: () => string },
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        this.looks.delete(look);
        act();
      };
      const look = (): void => {
        try {
          const found = find();
          if (found !== null && found !== undefined) finish(() => resolve(found));
        } catch (cause) {
          finish(() => reject(cause));
        }
      };
      const timer = setTimeout(
        () => finish(() => reject(new Error(`${deadlineMs} ms passed, ${report()}`))),
        deadlineMs,
      );
      this.looks.add(look);
      look();
    });
  }
}
