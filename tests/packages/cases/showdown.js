const showdown = require('showdown');

module.exports = () => {
  const converter = new showdown.Converter({ tables: true, strikethrough: true, tasklists: true, ghCompatibleHeaderId: true });
  return {
    html: converter.makeHtml('# A b\n\n~~x~~ **y**\n\n- [x] done\n- item\n\n|h|i|\n|-|-|\n|1|2|\n\n```js\nlet a;\n```'),
    flavor: showdown.getFlavor(), options: converter.getOption('tables'),
    extended: new showdown.Converter({ extensions: [{ type: 'lang', regex: /@@(\w+)/g, replace: '<u>$1</u>' }] }).makeHtml('@@x'),
  };
};
