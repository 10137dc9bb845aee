// Whether somebody tries something out by hand.

export function onTerminal(): { readonly onTerminal: boolean } {
  return { onTerminal: process.stdout.isTTY === true };
}
