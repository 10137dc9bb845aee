// The tests of the listener once more as it is without native/: through Node's own reads and writes.

import { useNative } from '../../src/native/native.ts';

useNative(false);
await import('./listener.test.ts');
await import('./listener-misbehaviour.test.ts');
