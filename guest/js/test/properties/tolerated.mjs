// Where Node.js 20 differs from the standards, or the runtime from Node.js, and why.

const isLatin = (label) => /latin|iso|ascii|1252|l1/.test(label);

const SCHEME = /^[\0- ]*[a-z][a-z0-9+.-]*:/i;
const withoutInvisible = (text) => text.replace(/[\t\n\r]/g, '');

const rules = {
  url: [
    // `canParse` of Node 20 says no to domains beyond ASCII.
    (input, expected) => Array.isArray(expected) && expected.at(-2) === false,
    // Node 20 resolves relative URLs against an opaque path; the standard refuses.
    ({ input, base }) =>
      base === 'mailto:someone' && !SCHEME.test(withoutInvisible(input)) && !/^\s*#/.test(input),
    // Node 20 loses the last slash when dots lead to the root of a scheme that is not special.
    ({ input, sets }) =>
      [input, ...sets.map(([, value]) => value)].some((text) =>
        /(\.|%2e){2}$/i.test(text.split(/[?#]/)[0]),
      ),
    // Node 20 keeps a URL without a host so when its host is set to nothing.
    ({ sets }) => sets.some(([part, value]) => /^host/.test(part) && /^([/?#\\]|$)/.test(value)),
    // The host's parser refuses a domain of dots alone (docs/runtime/url.md).
    (input, expected) => Array.isArray(expected) && /^\.+$/.test(expected[0][6]),
    // Node 20 takes a port away that is set to something without a digit in front.
    ({ sets }) => sets.some(([part, value]) => part === 'port' && /^[^0-9]/.test(value)),
  ],
  messages: [
    // By the Fetch standard `patch` stays in lower case, which no server understands.
    ({ init }) => init.method === 'patch',
  ],
  decoder: [
    // Node 20 takes this byte for a mark.
    ({ label, ignoreBOM, chunks }) => isLatin(label) && ignoreBOM && chunks.flat()[0] === 0xff,
    // Node 20 decodes windows-1252 as ISO-8859-1, where these are control characters.
    ({ label, chunks }) => isLatin(label) && chunks.flat().some((byte) => byte >> 5 === 4),
  ],
  writable: [
    // Node 20 fails an assertion of its own where a write after the end should be rejected.
    (input, expected) => expected.some((line) => line.includes('write Error')),
  ],
  multipart: [
    // Node 20 reads such a form as if it were ASCII.
    ({ body, type }) => /urlencoded/i.test(type) && /[^\x00-\x7f]/.test(body),
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
