const nunjucks = require('nunjucks');

module.exports = () => {
  const pages = {
    'base.html': '<h1>{% block title %}none{% endblock %}</h1>{% block body %}{% endblock %}',
    'page.html': '{% extends "base.html" %}{% block title %}{{ title | upper }}{% endblock %}{% block body %}{% for x in items %}{{ loop.index }}={{ x }} {% else %}empty{% endfor %}{% endblock %}',
    'macros.html': '{% macro field(name, value="-") %}<{{ name }}:{{ value }}>{% endmacro %}',
  };
  const loader = new (nunjucks.Loader.extend({ getSource: (name) => ({ src: pages[name], path: name, noCache: true }) }))();
  const env = new nunjucks.Environment(loader, { autoescape: true });
  env.addFilter('shout', (text, times) => text + '!'.repeat(times));
  return {
    page: env.render('page.html', { title: 'a <b>', items: ['x', '<y>'] }), empty: env.render('page.html', { items: [] }),
    macro: env.renderString('{% import "macros.html" as m %}{{ m.field("a") }}{{ m.field("b", 2) }}', {}),
    filters: env.renderString('{{ "hey" | shout(3) }} {{ [3,1,2] | sort | join(",") }} {{ "a b" | title }} {{ 3.14159 | round(2) }} {{ x | default("d") }}', {}),
    set: env.renderString('{% set n = 5 %}{% if n > 3 and not off %}big{% endif %} {{ "x" if n == 5 else "y" }}', {}),
  };
};
