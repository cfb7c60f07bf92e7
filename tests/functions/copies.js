// Copies of all lengths around those where something changes, forwards, backwards and onto themselves;
// beside a loop over the bytes.

const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 15, 16, 17, 31, 63, 64, 100, 255, 256, 257, 300, 1000];

module.exports = (req, res) => {
  const different = [];
  const fresh = () => Uint8Array.from({ length: 1200 }, (_, i) => (i * 7 + 3) & 255);
  const same = (a, b) => a.every((byte, i) => byte === b[i]);
  for (const length of LENGTHS) {
    for (const [from, to] of [[0, 100], [100, 0], [3, 4], [4, 3], [10, 17], [17, 10], [5, 5], [1, 190]]) {
      const moved = fresh();
      moved.copyWithin(to, from, from + length);
      const expected = fresh();
      const source = fresh();
      for (let i = 0; i < length && to + i < 1200; i++) expected[to + i] = source[from + i];
      if (!same(moved, expected)) different.push(['move', length, from, to]);
    }
    const copied = new Uint8Array(1200);
    copied.set(fresh().subarray(5, 5 + length), 9);
    if (!copied.every((byte, i) => byte === (i >= 9 && i < 9 + length ? ((i - 4) * 7 + 3) & 255 : 0))) {
      different.push(['copy', length]);
    }
    const filled = fresh().fill(0xa5, 3, 3 + length);
    const before = fresh();
    if (!filled.every((byte, i) => byte === (i >= 3 && i < 3 + length ? 0xa5 : before[i]))) {
      different.push(['fill', length]);
    }
    const text = 'xyz'.repeat(400).slice(0, length);
    if (text.length !== length || [...text].some((c, i) => c !== 'xyz'[i % 3])) different.push(['text', length]);
  }
  res.json({ different });
};
