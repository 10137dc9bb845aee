// Where JavaScript stands in an event loop that does not turn any more, asked over an inspector session.

import { fileURLToPath } from 'node:url';
import { ownCode } from '../executable/inside.ts';

/** What is said to the inspector of the event loop in question, and what it says. */
export interface Inspected {
  post(method: string): void;
  /** Called with each event. */
  onEvent(listener: (method: string, params: unknown) => void): void;
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number;
  };
}

/** It is asked after half of the timeout, or a little more: early enough to be told before the arbiter kills the
 *  process, and late enough that an event loop which gets so far is as good as hung. Looks are counted,
 *  not milliseconds: a machine that was paused has not hung. */
export const looksPerTimeout = 8;
export const looksMax = 4;

/** An endless loop is interrupted in 60 ms, on a starved machine in seconds; what takes longer is in
 *  the middle of a native call. */
const answerMsMax = 5000;
/** A first pause can be in the midst of Node's own code, with nothing of the app to see. */
const pausesMax = 5;
const againMs = 20;
/** Of a recursion that has gone too deep the innermost frames tell enough. */
const framesMax = 30;

/** Interrupts the event loop, reads its frames and lets it go on. Resolves to one line for each frame, the
 *  app's alone where there are any; null: it is in native code, and nobody knows where. */
export function readStuckStack(inspected: Inspected, timeoutMs: number): Promise<string | null> {
  // Before the end, so that it can be told.
  const answerMs = Math.min(answerMsMax, timeoutMs / 4);
  const urls = new Map<string, string>();
  let pauses = 0;
  return new Promise((done) => {
    const end = (stack: string | null): void => {
      clearTimeout(timer);
      inspected.post('Debugger.disable');
      done(stack);
    };
    const timer = setTimeout(() => end(null), answerMs);
    inspected.onEvent((method, params) => {
      if (method === 'Debugger.scriptParsed') {
        const { scriptId, url } = params as { scriptId: string; url: string };
        urls.set(scriptId, url);
      } else if (method === 'Debugger.paused') {
        const { callFrames } = params as { callFrames: readonly CallFrame[] };
        const { text, isApps } = framesText(callFrames, urls);
        inspected.post('Debugger.resume');
        if (isApps || ++pauses === pausesMax) end(text);
        else setTimeout(() => inspected.post('Debugger.pause'), againMs);
      }
    });
    inspected.post('Debugger.enable');
    inspected.post('Debugger.pause');
  });
}

function framesText(
  frames: readonly CallFrame[],
  urls: ReadonlyMap<string, string>,
): { text: string; isApps: boolean } {
  const places = frames.map(({ functionName, url, location }) => {
    const file = pathOf(urls.get(location.scriptId) ?? url);
    const place = `${file}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1}`;
    return { file, text: functionName === '' ? place : `${functionName} (${place})` };
  });
  const apps = places.filter(({ file }) => !isInternal(file));
  const shown = apps.length > 0 ? apps : places;
  const lines = shown.slice(0, framesMax).map(({ text }) => `    at ${text}`);
  return { text: lines.join('\n'), isApps: apps.length > 0 };
}

function pathOf(url: string): string {
  try {
    return url.startsWith('file:') ? fileURLToPath(url) : url;
  } catch {
    return url;
  }
}

function isInternal(file: string): boolean {
  return (
    file === '' || file.startsWith('node:') || file === ownCode || file.startsWith(`${ownCode}/`)
  );
}
