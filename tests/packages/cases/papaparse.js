const Papa = require('papaparse');

module.exports = () => {
  const steps = [];
  Papa.parse('a,b\n1,2\n3,4', { header: true, step: ({ data }) => steps.push(data) });
  return {
    parsed: Papa.parse('id,name,ok\n1,"A ""x"", b",true\n2,Bob,false', { header: true, dynamicTyping: true }).data,
    guessed: Papa.parse('a;b;c\n1;2;3').meta.delimiter, steps, errors: Papa.parse('a,b\n"x', { header: true }).errors.map(({ code }) => code),
    text: Papa.unparse([{ a: 1, b: 'x,y' }, { a: null, b: '"q"' }]), fields: Papa.unparse({ fields: ['x', 'y'], data: [[1, 2]] }, { delimiter: '\t', quotes: true }),
    transformed: Papa.parse('A \n 1', { header: true, transformHeader: (name) => name.trim().toLowerCase(), transform: Number }).data,
  };
};
