const pug = require('pug');

module.exports = () => ({
  text: pug.render(`doctype html
html(lang="en")
  head
    title= title
  body
    h1.big#top Hello #{name}
    each user, i in users
      p(class={odd: i % 2}) #{i}: !{user}
    else
      p nobody
    if admin
      a(href="/x?a=1&b=2", data-n=n) go
    case n
      when 1: em one
      default: em many
`, { title: 'A & B', name: '<Ada>', users: ['x', '<b>y</b>'], admin: true, n: 1 }),
  mixin: pug.render('mixin item(name)\n  li(class=attributes.class)= name\n    block\nul\n  +item("a").x\n    b in\n  +item("b")'),
  pretty: pug.compile('div\n  p= x', { pretty: true })({ x: 5 }),
  failed: (() => { try { return pug.render('div\n   p\n  b'); } catch (error) { return error.code; } })(),
});
