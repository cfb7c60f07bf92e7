const tinycolor = require('tinycolor2');

module.exports = () => ({
  parsed: ['red', '#f80', 'rgb 255 0 0', 'hsl(120, 50%, 50%)', 'hsva(0, 100%, 100%, .5)', 'nonsense'].map((text) => [tinycolor(text).toHexString(), tinycolor(text).isValid()]),
  changed: [tinycolor('red').lighten(20).toString(), tinycolor('#808080').spin(90).saturate(50).toHslString(), tinycolor.mix('red', 'blue', 25).toHex()],
  told: [tinycolor('#000').isDark(), tinycolor('#fff').getLuminance(), tinycolor('navy').toName(), tinycolor('red').setAlpha(0.5).toRgbString()],
  readable: [tinycolor.readability('#000', '#fff'), tinycolor.mostReadable('#123', ['#111', '#eee']).toHexString()],
  schemes: [tinycolor('#f00').triad().map(String), tinycolor('#f00').analogous(3).map(String), tinycolor('#f00').complement().toHexString()],
});
