const { Eta } = require('eta');

module.exports = async () => {
  const eta = new Eta({ autoTrim: false });
  eta.loadTemplate('@part', '<b><%= it.n %></b>');
  eta.loadTemplate('@layout', '<main><%~ it.body %></main>');
  return {
    text: eta.renderString('<% it.list.forEach((x) => { %>[<%= x %>]<% }) %><%~ it.raw %>', { list: [1, '<'], raw: '<hr>' }),
    partial: eta.renderString("<%~ include('@part', { n: 7 }) %>", {}),
    layout: eta.renderString("<% layout('@layout') %>inside", {}),
    async: await eta.renderStringAsync('<%= await it.work() %>', { work: async () => 'done' }),
  };
};
