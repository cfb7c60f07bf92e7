import { Parser, parseDocument, DomUtils } from 'htmlparser2';
import render from 'dom-serializer';

export default () => {
  const events = [];
  const parser = new Parser({
    onopentag: (name, attributes) => events.push(['open', name, attributes]),
    ontext: (text) => events.push(['text', text]),
    onclosetag: (name, implied) => events.push(['close', name, implied]),
    oncomment: (text) => events.push(['comment', text]),
  }, { decodeEntities: true });
  for (const chunk of ['<p cla', 'ss=x>a &am', 'p; b<br><!-- c --><p>sec', 'ond']) parser.write(chunk);
  parser.end();
  const document = parseDocument('<div><a href="/x">1</a><a>2</a></div>');
  const links = DomUtils.getElementsByTagName('a', document);
  return { events, links: links.map((link) => [link.attribs.href ?? null, DomUtils.textContent(link)]), html: render(document) };
};
