const Handlebars = require('handlebars');

const engine = Handlebars.create();
engine.registerHelper('loud', (text) => text.toUpperCase());
engine.registerHelper('list', (items, { fn }) => new Handlebars.SafeString(items.map((item) => fn(item)).join('|')));
engine.registerPartial('user', '<{{name}}{{#if admin}} (admin){{else}} (user){{/if}}>');

module.exports = () => {
  const template = engine.compile(`{{#each users as |u i|}}{{i}}:{{> user u}}{{#unless @last}}, {{/unless}}{{/each}}
{{loud title}} {{{raw}}} {{escaped}} {{#list tags}}[{{this}}]{{/list}} {{lookup map "key"}} {{#with deep.er}}{{../title}}{{/with}}`);
  return {
    text: template({
      users: [{ name: 'Ada', admin: true }, { name: 'Bob' }], title: 't', raw: '<b>', escaped: '<i>&"',
      tags: ['x', 'y'], map: { key: 'found' }, deep: { er: {} },
    }),
    strict: (() => { try { return engine.compile('{{no}}', { strict: true })({}); } catch (error) { return error.message; } })(),
    precompiled: typeof Handlebars.precompile('{{a}}'), prototype: engine.compile('{{constructor.name}}')({}),
    syntax: (() => { try { return engine.compile('{{#if}}')({}); } catch (error) { return error.message.split('\n')[0]; } })(),
  };
};
