import { parse, parseFragment, serialize, defaultTreeAdapter } from 'parse5';

export default () => {
  const document = parse('<!DOCTYPE html><title>x</title><p>one<p>two<table><b>foster</b><tr><td>1</table>');
  const fragment = parseFragment('<li>a<li>b</ul>&copy;<svg><path d="M0"/></svg>', { sourceCodeLocationInfo: true });
  const body = defaultTreeAdapter.getChildNodes(document)[1].childNodes[1];
  return {
    html: serialize(document), fragment: serialize(fragment), names: body.childNodes.map((node) => node.nodeName),
    location: fragment.childNodes[1].sourceCodeLocation.startTag, mode: defaultTreeAdapter.getDocumentMode(document),
  };
};
