const { stringify } = require('csv-stringify');
const { stringify: sync } = require('csv-stringify/sync');

module.exports = async () => {
  const rows = [{ id: 1, name: 'Ada "the"', at: new Date(0), ok: true }, { id: 2, name: 'two\nlines, x', at: null, ok: false }];
  const stream = stringify({ delimiter: ';' });
  rows.forEach((row) => stream.write(Object.values(row).slice(0, 2)));
  stream.end();
  let streamed = '';
  for await (const chunk of stream) streamed += chunk;
  return {
    text: sync(rows, { header: true, columns: ['id', { key: 'name', header: 'Name' }] }), cast: sync(rows, { cast: { boolean: (value) => (value ? 'yes' : 'no'), date: (value) => value.toISOString() } }),
    quoted: sync([['a', 1, '']], { quoted: true, quoted_empty: true, record_delimiter: 'windows' }), escaped: sync([['=1+1']], { escape_formulas: true }), streamed,
  };
};
