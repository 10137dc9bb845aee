// The edge's program: started by the arbiter with PORTICO_ROLE=edge, runs on import.

// Before anything is loaded: without a handler USR1 opens Node's inspector to every local user.
process.on('SIGUSR1', () => {});

void import('./process.ts').then(({ runEdge }) => runEdge());

export {};
