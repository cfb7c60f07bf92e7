const pluralize = require('pluralize');

module.exports = () => {
  pluralize.addIrregularRule('gex', 'gexes');
  return {
    plural: ['house', 'person', 'box', 'city', 'sheep', 'index', 'gex'].map((word) => pluralize(word)),
    singular: ['houses', 'people', 'wolves', 'data'].map((word) => pluralize.singular(word)),
    counted: [pluralize('test', 1, true), pluralize('test', 5, true)],
    is: [pluralize.isPlural('tests'), pluralize.isSingular('tests')],
  };
};
