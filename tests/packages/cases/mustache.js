const Mustache = require('mustache');

module.exports = () => ({
  text: Mustache.render('{{#users}}{{name}}{{^admin}} -{{/admin}}; {{/users}}{{{raw}}}{{escaped}} {{a.b}} {{! comment }}', {
    users: [{ name: 'Ada', admin: true }, { name: 'Bob' }], raw: '<b>', escaped: '<i>', a: { b: 1 },
  }),
  lambda: Mustache.render('{{#bold}}Hi {{name}}{{/bold}}', { name: 'Ada', bold: () => (text, render) => `<b>${render(text)}</b>` }),
  partial: Mustache.render('{{>one}}', { x: 1 }, { one: '[{{x}}]' }), tags: Mustache.render('<% x %>', { x: 2 }, {}, ['<%', '%>']),
  parsed: Mustache.parse('{{x}} {{#y}}z{{/y}}'), bad: (() => { try { Mustache.parse('{{#x}}'); return 0; } catch (error) { return error.message; } })(),
});
