// Stands after the work of all peers, in one script: what `/cpu` does, without the HTTP around it.

/** Does it so often. */
globalThis.part = (benchmark, count) => {
  for (let run = 0; run < count; run++) logic.cpu();
};
