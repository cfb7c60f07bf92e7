const Ajv = require('ajv');
const addFormats = require('ajv-formats');

const ajv = addFormats(new Ajv());

module.exports = () => {
  const samples = {
    date: ['2024-02-29', '2023-02-29'], 'date-time': ['2024-01-01T00:00:00Z', 'x'], time: ['12:00:00Z', '25:00:00Z'],
    email: ['a@b.org', 'a@'], ipv4: ['127.0.0.1', '256.1.1.1'], ipv6: ['::1', ':::'], uri: ['https://x.org/a?b', 'no uri'],
    uuid: ['6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'x'], hostname: ['x.example', '-x'], regex: ['a+', '('],
    'json-pointer': ['/a/0', 'a'], duration: ['P1DT2H', 'P'],
  };
  const result = {};
  for (const [format, texts] of Object.entries(samples)) {
    const validate = ajv.compile({ type: 'string', format });
    result[format] = texts.map((text) => validate(text));
  }
  const limited = ajv.compile({ type: 'string', format: 'date', formatMinimum: '2024-01-01' });
  result.limited = [limited('2024-05-01'), limited('2023-05-01')];
  return result;
};
