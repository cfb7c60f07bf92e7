const matter = require('gray-matter');

module.exports = () => {
  const { data, content, excerpt, language, isEmpty } = matter('---\ntitle: T\ntags: [a, b]\n---\nIntro\n---\n# Body\n', { excerpt: true });
  return {
    data, content, excerpt, language, isEmpty, json: matter('---json\n{"a": 1}\n---\nx').data,
    none: matter('just text').data, custom: matter('~~~\na: 1\n~~~\ny', { delimiters: '~~~' }).data,
    text: matter.stringify('content', { title: 'T', n: 1 }), test: matter.test('---\na: 1\n---'),
  };
};
