# -*- coding: gbk -*-
GREETING = "欢迎"
NAMES = {1001: u"张三"}

def fail():
    raise ValueError, GREETING   # 出错
