const cheerio = require('cheerio');

module.exports = () => {
  const $ = cheerio.load('<ul id="l"><li class="a">One</li><li class="b" data-n=\'{"x":1}\'>Two <b>bold</b></li></ul><form><input name="q" value="é"><select name="s"><option value="1" selected>x</select></form>');
  $('li.a').addClass('c').attr('title', 'a "quote"').after('<li>new</li>');
  $('b').replaceWith((_, node) => `<i>${$(node).text()}</i>`);
  return {
    html: $('#l').html(), texts: $('li').map((_, li) => $(li).text()).get(), data: $('.b').data('n'), form: $('form').serializeArray(),
    find: [$('ul > li:nth-child(2)').text(), $('li:contains("Two")').index(), $('li').filter('.b').length, $('li').not('.a').eq(0).text()],
    up: $('i').closest('ul').attr('id'), extracted: $.extract({ items: ['li'], id: { selector: 'ul', value: 'id' } }),
    xml: cheerio.load('<a><b/>x</a>', { xml: true }).xml(), prop: $('option').prop('selected'),
  };
};
