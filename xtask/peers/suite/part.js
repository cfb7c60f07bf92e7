// Stands after the suite's own `base.js` and one of its parts, in one script.

/** Sets a benchmark of the part up and runs it so often. */
globalThis.part = (benchmark, count) => {
  const { benchmarks } = BenchmarkSuite.suites[0];
  const it = benchmarks[benchmark];
  BenchmarkSuite.ResetRNG();
  // Some work on what those before them left.
  for (const before of benchmarks.slice(0, benchmark)) before.run();
  it.Setup();
  for (let run = 0; run < count; run++) it.run();
  it.TearDown();
};
