const slugify = require('slugify');

module.exports = () => [
  slugify('Hello World & more!'),
  slugify('Ünïcödé – déjà vu', { lower: true, strict: true }),
  slugify('some string', '_'),
  slugify('a.b*c', { remove: /[*+~.()'"!:@]/g }),
  slugify('Straße über Österreich', { locale: 'de' }),
  slugify('  trim me  ', { trim: true, lower: true }),
];
