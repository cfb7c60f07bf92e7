// Where Node.js 20 differs from the standards, or the runtime from Node.js, and why.

const rules = {
  decoder: [
    // Node 20 decodes windows-1252 as ISO-8859-1, where these are control characters.
    ({ label, chunks }) =>
      /latin|iso|ascii|1252|l1/.test(label) && chunks.flat().some((byte) => byte >> 5 === 4),
  ],
  writable: [
    // Node 20 fails an assertion of its own where a write after the end should be rejected.
    (input, expected) => expected.some((line) => line.includes('write Error')),
  ],
  form: [
    // Node 20 reads a part with an empty file name as a string; by the standard it is a file.
    ({ entries }) => entries.some(([, , file]) => file === ''),
  ],
};

/** Whether a difference from Node's result is known and documented; such inputs are left out. */
export function tolerated(area, input, expected) {
  return rules[area]?.some((rule) => rule(input, expected)) === true;
}

/** Areas whose implementation is still on its way to Node's errors. */
export const later = ['buffer'];
