// Prints what is wrong with the settings, all at once.

export function reportProblems(problems: readonly string[]): void {
  const lines = problems.map((problem) => `portico: ${problem.replaceAll('\n', '\n    ')}\n`);
  process.stderr.write(lines.join(''));
}
