// Shows how far a command is: one line that is drawn over on a terminal, a line a file elsewhere.

export interface Progress {
  /** One more is done; `line` tells of it. */
  step(line: string): void;
  /** Takes the bar away. */
  end(): void;
}

const barWidth = 24;
/** Often enough to look alive. */
const drawEveryMs = 50;

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** The bar goes to `terminal` (standard error), lines to `lines` (standard output). */
export function startProgress(total: number, terminal: Terminal, lines: Terminal): Progress {
  if (!terminal.isTTY) return { step: (line) => void lines.write(`${line}\n`), end() {} };
  let done = 0;
  let drawnMs = Number.NEGATIVE_INFINITY;
  const draw = (name: string) => {
    const filled = Math.round((barWidth * done) / Math.max(1, total));
    const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
    const text = `${bar} ${done}/${total} ${name}`.slice(0, (terminal.columns ?? 80) - 1);
    terminal.write(`\r\x1b[K${text}`);
  };
  return {
    step(line) {
      done++;
      const nowMs = performance.now();
      if (nowMs - drawnMs < drawEveryMs && done < total) return;
      drawnMs = nowMs;
      draw(line);
    },
    end: () => void terminal.write('\r\x1b[K'),
  };
}
