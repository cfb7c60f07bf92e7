const ejs = require('ejs');

module.exports = async () => ({
  text: ejs.render('<% users.forEach((user) => { -%>\n<li><%= user %></li>\n<% }) -%>\n<%- raw %>', { users: ['Ada', '<b>'], raw: '<hr>' }),
  compiled: ejs.compile('<%= a + b %>')({ a: 1, b: 2 }), delimiter: ejs.render('<? if (x) { ?>yes<? } ?>', { x: 1 }, { delimiter: '?' }),
  async: await ejs.render('<%= await work() %>', { work: async () => 'done' }, { async: true }),
  included: ejs.render('[<%- include("part", { n: 1 }) %>]', {}, { includer: (name) => ({ template: `${name}<%= n %>` }) }),
  failed: (() => { try { return ejs.render('a\n<%= missing %>'); } catch (error) { return error.message.split('\n').pop(); } })(),
});
