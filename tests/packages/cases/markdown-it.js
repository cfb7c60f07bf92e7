const MarkdownIt = require('markdown-it').default ?? require('markdown-it');

module.exports = () => {
  const md = new MarkdownIt({ html: true, linkify: true, typographer: true });
  const safe = new MarkdownIt({ html: false, breaks: true });
  safe.renderer.rules.strong_open = () => '<b class="own">';
  return {
    html: md.render('# H\n\n"Quotes" -- (c) www.x.org\n\n1. a\n   - b\n\n| a | b |\n|---|--:|\n| 1 | `2` |\n\n<i>raw</i>\n'),
    safe: safe.render('<script>x</script>\nline\n**bold**'), inline: md.renderInline('a *b* ~~c~~'),
    tokens: md.parse('> q\n\n```js\ncode\n```', {}).map(({ type, info }) => [type, info]),
    link: [md.validateLink('javascript:alert(1)'), md.normalizeLink('https://x.org/é')],
  };
};
