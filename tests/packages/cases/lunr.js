const lunr = require('lunr');

module.exports = () => {
  const index = lunr(function () {
    this.ref('id');
    this.field('title', { boost: 5 });
    this.field('body');
    [{ id: 1, title: 'Twelfth Night', body: 'If music be the food of love' }, { id: 2, title: 'Macbeth', body: 'By the pricking of my thumbs, loving' }, { id: 3, title: 'Love', body: 'nothing' }]
      .forEach((document) => this.add(document));
  });
  const tell = (query, from = index) => from.search(query).map(({ ref, score }) => [ref, Number(score.toFixed(6))]);
  return {
    stemmed: tell('loves'), field: tell('title:macbeth'), wild: tell('foo*'), fuzzy: tell('mucis~2'), required: tell('+love -nothing'), boosted: tell('love^10 music'),
    loaded: tell('night', lunr.Index.load(JSON.parse(JSON.stringify(index)))), stemmer: lunr.stemmer(new lunr.Token('consistently', {})).toString(), trimmed: lunr.tokenizer('Hello, World').map(String),
  };
};
