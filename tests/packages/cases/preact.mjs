import { h, Fragment, Component, createContext, isValidElement } from 'preact';
import { useState, useContext, useMemo } from 'preact/hooks';
import { render, renderToStaticMarkup } from 'preact-render-to-string';

const Theme = createContext('light');
const Item = ({ text }) => {
  const [n] = useState(1);
  return h('li', { class: useContext(Theme), 'data-n': useMemo(() => n + 1, [n]), style: { color: 'red' } }, text);
};
class Old extends Component {
  constructor() { super(); this.state = { n: 5 }; }
  render({ children }, { n }) { return h('b', null, n, children); }
}

export default () => ({
  html: render(h(Theme.Provider, { value: 'dark' }, h('ul', null, ['a', '<b>'].map((text) => h(Item, { key: text, text }))), h(Old, null, 'x'), h(Fragment, null, 'y', null, false, 0))),
  static: (renderToStaticMarkup ?? render)(h('input', { value: 'v', disabled: true, onInput: () => {} })), valid: isValidElement(h('a')),
  raw: render(h('p', { dangerouslySetInnerHTML: { __html: '<i>' } })),
});
