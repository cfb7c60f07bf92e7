const dotenv = require('dotenv');

module.exports = () => dotenv.parse(`# comment
PLAIN=value
export EXPORTED=1
QUOTED="two\\nlines"
SINGLE='raw $X \\n'
SPACES =  trimmed   # comment
EMPTY=
MULTI="a
b"
HASH="x # y"
EQUALS=a=b=c
`);
