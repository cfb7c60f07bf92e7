const { h, Fragment, Component, createContext, isValidElement } = require('preact');
const { useState, useContext, useMemo } = require('preact/hooks');
const { render, renderToStaticMarkup } = require('preact-render-to-string');
const { signal } = { signal: null };

const Theme = createContext('light');
const Item = ({ text }) => {
  const [n] = useState(1);
  return h('li', { class: useContext(Theme), 'data-n': useMemo(() => n + 1, [n]), style: { color: 'red' } }, text);
};
class Old extends Component {
  constructor() { super(); this.state = { n: 5 }; }
  render({ children }, { n }) { return h('b', null, n, children); }
}

module.exports = () => ({
  html: render(h(Theme.Provider, { value: 'dark' }, h('ul', null, ['a', '<b>'].map((text) => h(Item, { key: text, text }))), h(Old, null, 'x'), h(Fragment, null, 'y', null, false, 0))),
  static: (renderToStaticMarkup ?? render)(h('input', { value: 'v', disabled: true, onInput: () => {} })), valid: isValidElement(h('a')),
  raw: render(h('p', { dangerouslySetInnerHTML: { __html: '<i>' } })), signal,
});
