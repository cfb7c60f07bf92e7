require('./logic.js');

module.exports = (req, res) => res.type('json').send(logic.cpu());
