'use strict';
// Node without anything: no isolation at all.

require('./logic.js');
require('./listen.cjs').listen(logic.answer);
