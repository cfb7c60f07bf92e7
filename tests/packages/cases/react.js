const React = require('react');
const { renderToStaticMarkup, renderToString } = require('react-dom/server');

const h = React.createElement;
const Theme = React.createContext('light');
const Item = React.memo(function Item({ children, onClick }) {
  const theme = React.useContext(Theme);
  const id = React.useId();
  const [n] = React.useState(() => 41);
  return h('li', { className: theme, 'data-n': React.useMemo(() => n + 1, [n]), style: { marginTop: 2, color: 'red' }, onClick, id: id ? 'x' : 'y' }, children);
});
class Old extends React.Component {
  static getDerivedStateFromProps = ({ text }) => ({ text: `${text}!` });
  state = {};
  render() { return h('b', null, this.state.text); }
}

module.exports = () => {
  const tree = h(Theme.Provider, { value: 'dark' }, h('ul', { 'aria-label': 'a "b"' }, ['x', '<y>'].map((text) => h(Item, { key: text }, text, 1, null, false))),
    h(Old, { text: 'old' }), h('input', { defaultValue: 'v', disabled: true, htmlFor: 'z' }), h('p', { dangerouslySetInnerHTML: { __html: '<i>raw</i>' } }), h(React.Fragment, null, 'a', 'b'));
  return {
    html: renderToStaticMarkup(tree), hydratable: renderToString(h('p', null, 'a', 'b')), valid: React.isValidElement(tree), count: React.Children.count([1, 2, null]),
    cloned: renderToStaticMarkup(React.cloneElement(h('a', { href: '/x' }), { title: 't' })), failed: (() => { try { return renderToString(h(() => { throw new Error('no'); })); } catch (error) { return error.message; } })(),
  };
};
