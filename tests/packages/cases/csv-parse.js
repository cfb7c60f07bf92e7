const { parse } = require('csv-parse');
const { parse: parseSync } = require('csv-parse/sync');

module.exports = async () => {
  const text = 'id,name,note\n1,Ada,"a ""quoted"", text"\n2,Bob,"two\nlines"\n';
  const streamed = [];
  const parser = parse({ columns: true, cast: (value, { column }) => (column === 'id' ? Number(value) : value) });
  parser.write(text.slice(0, 20));
  parser.end(text.slice(20));
  for await (const record of parser) streamed.push(record);
  return {
    rows: parseSync(text), objects: parseSync(text, { columns: true }), streamed,
    options: parseSync('# c\na;b\n\n 1 ; 2 ', { delimiter: ';', comment: '#', trim: true, skip_empty_lines: true, from_line: 2 }),
    relaxed: parseSync('a,b\n1\n', { relax_column_count: true }), failed: (() => { try { parseSync('a,"b'); return 0; } catch (error) { return error.code; } })(),
  };
};
