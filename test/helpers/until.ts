// The one way in which tests wait for a state that no event tells of.

const deadlineMs = 20_000;

type Found<T> = Exclude<T, null | undefined | false>;

/**
 * Looks until what it sees will do, and returns that; `holds` says what does, otherwise anything true does.
 * Looks often at first, so that states within this process are met at once, then leaves the CPU to others.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  holds: (seen: T) => boolean = Boolean,
): Promise<Found<T>> {
  const end = performance.now() + deadlineMs;
  for (let looks = 0; ; looks++) {
    const seen = await look();
    if (holds(seen)) return seen as Found<T>;
    if (performance.now() > end)
      throw new Error(`waited ${deadlineMs} ms for ${what}; last: ${JSON.stringify(seen)}`);
    await new Promise<void>((resolve) => {
      if (looks < 100) setImmediate(resolve);
      else setTimeout(resolve, looks < 200 ? 2 : 10);
    });
  }
}
